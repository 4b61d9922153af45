"""The owner's devices: each has its own token for the API and its own keys for S3, revocable one by one."""
