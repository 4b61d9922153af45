"""The owner's devices: each has a token of its own for the API and keys of its own for S3, revocable one by one."""
