"""A drive without an app: any script can put files into it, and get files that works have put."""

from lightning_lite.storage import Drive

drive = Drive("lit://drive")

print(drive.list("."))  # []

with open("a.txt", "w") as f:
    f.write("Hello World !")
drive.put("a.txt")

print(drive.list("."))  # ['a.txt']

with open(drive.get("a.txt", to="copy.txt")) as f:
    print(f.read())  # Hello World !

drive.delete("a.txt")

print(drive.list("."))  # []
