"""The operator on Kubernetes. What becomes of a gateway there is built by pure functions, one module a kind."""
