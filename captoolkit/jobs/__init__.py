"""Many recordings, on one machine or many: inputs, stores, chunks, engine, driver."""
