"""Static figures of the study, drawn with Matplotlib."""
