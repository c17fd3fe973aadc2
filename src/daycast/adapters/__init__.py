"""One outside tool each, named by its role; none knows another."""
