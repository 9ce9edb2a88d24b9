"""Tell. Pure: captions in, one timeline out, and the timeline as text in many formats."""
