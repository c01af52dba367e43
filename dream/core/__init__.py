"""Ground floor: trials, rollouts, replay, networks, recurrent Q-learning and the bottleneck. Imports nothing of ours."""
