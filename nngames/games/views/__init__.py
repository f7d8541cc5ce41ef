"""The problem views of games for schemes: fixed-point maps, inclusions, and costs that are lowered."""
