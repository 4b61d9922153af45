"""The platform, an application that is never published as a library. Its wings, each importing only from those below it:

cli       the command `pcloud`
node      puts one node together
front     what listens: web server, ingress, console, administration socket, metrics
apps      apps, from an archive to a running process       people    the owner and paired devices
work      calls between apps, triggers and runs
graph     schema, commands and the GraphQL API
access    who asks, what was granted, how much, and the audit log
trace     spans of one request through all of it
shipped   what comes with PCloud besides its code
"""
