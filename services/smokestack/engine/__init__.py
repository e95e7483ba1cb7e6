"""The event core that every service shares: time, records, queues, random streams, histograms."""
