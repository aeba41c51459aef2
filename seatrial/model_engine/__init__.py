"""Scale Model Engine: how it is found in a cluster, spoken to, and what is wrong with it when something is."""
