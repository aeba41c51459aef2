"""Measurements, each against something a user would do instead."""
