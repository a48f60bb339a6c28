"""The register of problems and risks (T11): what threatens a go-live or the service, with an owner each."""
