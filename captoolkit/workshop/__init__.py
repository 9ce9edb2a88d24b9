"""Where a plan is carried out: segments in the making, by the way that the plan chose."""
