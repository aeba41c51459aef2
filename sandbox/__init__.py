"""A deployment to try seatrial on, on one machine, from packages alone: see README.md in this folder."""
