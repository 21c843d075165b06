#!/bin/sh
# Every public function has a comment with all tags of the template.
exec python3 "$(dirname "$0")/headers.py" --docs
