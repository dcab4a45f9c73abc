"""The state machine, its drivers, belief, trace and report."""
