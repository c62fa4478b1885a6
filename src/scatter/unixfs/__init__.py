"""Content identifiers and the blocks they name, exactly as kubo makes and reads them. Pure.

`cid` names a block, `nodes` is the strict codec of a block, `building` cuts files and folders into
blocks, `walking` follows a folder through blocks of strangers, `car` is the archive they travel in.
Sources: the CID, dag-pb and UnixFS specifications of IPFS.
"""
