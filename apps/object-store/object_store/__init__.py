"""The object store: SeaweedFS behind the S3 API, as an application that holds the role `object-storage`.

settings    what the owner may set                 store       the actions, without the bus
names       grammar of buckets, keys, prefixes     access      who may do what with whose bucket
weed/       the server: ports, secrets, process,   s3          listing, presigning, deleting over S3
            gRPC to its filer, its users           ledger      SQLite: buckets, webhooks, what was announced
metadata    a filer's event → what happened        notifier    follow, reconcile, remember
health      what works now, and why not          room        uploads stop at the reserve
intake      which requests are admitted          compaction  give the room of deleted objects back
delivery    send what was remembered               flush       syncfs, shared by those who wait for it
"""
