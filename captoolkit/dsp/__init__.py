"""Digital signal processing: arrays of samples in, figures out.

Rules: every module is pure and needs only numpy; no module here opens a file. Arrays of samples
are float with 1.0 as full scale, or integers that fill their type. Meters take blocks of a running
sound with `feed`, keep a bounded amount of it, and give the same figures however it was cut into
blocks.
"""
