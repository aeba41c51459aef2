"""What is no fault, one file each: the product serves, and nothing may turn red by it. Else like faults."""
