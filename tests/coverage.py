#!/usr/bin/env python3
"""Lines of lib/ that ran, from the gcov data below the given build folders."""
import collections
import glob
import json
import subprocess
import sys


def gcov_files(folder):
    data = glob.glob(f"{folder}/lib/**/*.gcda", recursive=True)
    for path in data:
        text = subprocess.run(["gcov", "--json-format", "--stdout", path],
                              check=True, capture_output=True, text=True).stdout
        for line in text.splitlines():
            yield from json.loads(line)["files"]


def main(folders):
    lines = collections.defaultdict(lambda: collections.defaultdict(int))
    for folder in folders:
        for file in gcov_files(folder):
            for line in file["lines"]:
                lines[file["file"]][line["line_number"]] += line["count"]
    total = ran = 0
    for name in sorted(n for n in lines if n.startswith("lib/")):
        hit = sum(1 for count in lines[name].values() if count)
        total, ran = total + len(lines[name]), ran + hit
        print(f"{100 * hit / len(lines[name]):5.1f} %  {name}")
    print(f"{100 * ran / max(total, 1):5.1f} %  {ran} of {total} lines")


if __name__ == "__main__":
    main(sys.argv[1:])
