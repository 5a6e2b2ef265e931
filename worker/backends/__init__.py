"""GPU providers behind one interface: the dispatcher submits a request there, looks how it is, and cancels it."""
