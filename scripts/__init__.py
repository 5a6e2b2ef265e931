"""Commands for developers: package, emulator, terraform, demo, predict, ... Nothing here ships to AWS."""
