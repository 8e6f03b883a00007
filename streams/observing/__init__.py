"""What a worker measures and logs. Nothing here changes what the journey does.

Start with `observer`, which the journey calls. `metrics` declares the Prometheus metrics,
`telemetry` sets them, and `logs` configures logging.
"""
