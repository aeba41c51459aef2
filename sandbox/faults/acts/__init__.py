"""What faults do: look until something holds, scale a Deployment, change the registry."""
