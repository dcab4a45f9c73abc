"""Faces over the network; none yet beyond the LangGraph entry point."""
