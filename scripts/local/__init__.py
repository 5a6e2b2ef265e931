"""The emulator on this machine, and the demo on it."""
