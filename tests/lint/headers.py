#!/usr/bin/env python3
"""What the public headers declare.

  headers.py --names   the functions, one a line, sorted
  headers.py --docs    fail for each function whose comment misses a tag
"""
import glob
import os
import re
import sys

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
DECLARATION = re.compile(r"(?:/\*\*(?P<doc>(?:(?!\*/).)*)\*/\s*)?^FCSNAP_API\s(?P<text>[^;]*);",
                         re.DOTALL | re.MULTILINE)
ALWAYS = ("threadsafe", "blocks", "since")


def inside_brackets(text, start):
    """The text between the bracket at start and the one that closes it."""
    depth = 0
    for at in range(start, len(text)):
        depth += {"(": 1, ")": -1}.get(text[at], 0)
        if depth == 0:
            return text[start + 1:at]
    raise ValueError("unbalanced brackets: " + text)


def split_parameters(text):
    parts, depth = [""], 0
    for char in text:
        depth += {"(": 1, ")": -1}.get(char, 0)
        if char == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += char
    return parts


def parameter_name(text):
    pointer = re.search(r"\(\s*\*\s*(\w+)", text)
    words = re.findall(r"\w+", text)
    return pointer.group(1) if pointer else words[-1]


def functions(path):
    with open(path, encoding="utf-8") as file:
        source = file.read()
    for match in DECLARATION.finditer(source):
        text = re.sub(r"/\*.*?\*/", "", match["text"], flags=re.DOTALL)
        head = re.search(r"\b(fcsnap_\w+)\s*\(", text)
        if head is None:
            raise ValueError(f"{path}: not a function: {text}")
        inside = inside_brackets(text, head.end() - 1).strip()
        names = [] if inside in ("", "void") else [parameter_name(p) for p in split_parameters(inside)]
        result = text[:head.start()].strip()
        line = source.count("\n", 0, match.start("text")) + 1
        yield head[1], result, names, match["doc"], line


def missing_tags(result, names, doc):
    if doc is None:
        return ["a comment"]
    documented = re.findall(r"@param(?:\[[a-z,]+\])?\s+(\w+)", doc)
    missing = ["@param " + name for name in names if name not in documented]
    missing += ["no parameter named " + name for name in documented if name not in names]
    if result != "void" and not re.search(r"@(retval|return)\b", doc):
        missing.append("@retval or @return")
    return missing + ["@" + tag for tag in ALWAYS if not re.search(rf"@{tag}\s+\S", doc)]


def main():
    os.chdir(ROOT)
    names, bad = [], 0
    for path in sorted(glob.glob("include/fcsnap.h") + glob.glob("include/fcsnap/*.h")):
        for name, result, parameters, doc, line in functions(path):
            names.append(name)
            missing = missing_tags(result, parameters, doc) if sys.argv[1:] == ["--docs"] else []
            if missing:
                print(f"{path}:{line}: {name}: missing: {', '.join(missing)}")
                bad = 1
    if sys.argv[1:] == ["--names"]:
        print("\n".join(sorted(names)))
    return bad


if __name__ == "__main__":
    sys.exit(main())
