"""SeaweedFS as a child process: everything on loopback, its control ports behind mutual TLS, its memory bounded.

folder          where things lie, and the one lock         certificate     own CA and the one certificate
ports           chosen once, kept                          secret          admin key pair, JWT signing keys
configuration   security.toml, identities, command line    leash           ends weed with the app
server          start, readiness, restart, stop            filer           gRPC: messages by reflection, subscription
identity        S3 users and their policies
"""
