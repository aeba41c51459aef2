"""The library under the fixtures: the loop, the record, the verdict, the clients. It knows no product."""
