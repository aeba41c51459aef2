"""What the product keeps its state in: PostgreSQL and Redis for real, SQS and S3 on the real wire."""
