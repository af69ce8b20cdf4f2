"""What a detector costs: parameters, MACs and FLOPs by component, latency, memory."""
