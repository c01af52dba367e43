"""Ground floor: trials, rollouts, replay, networks, Q-learning and the bottleneck. Imports nothing of ours."""
