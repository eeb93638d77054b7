"""What makes the library a program: hooks, preflight, tracking, the run command, configuration, failures, runners."""
