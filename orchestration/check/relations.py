"""What a query's relations are: their columns, and the sets of columns that are unique in them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product

from sqlglot import exp

Atom = frozenset[str]
"""Texts, each of which names the same column or expression."""

NUMBERING = (
    exp.RowNumber, exp.Rank, exp.DenseRank, exp.Ntile, exp.Lag, exp.Lead,
    exp.FirstValue, exp.LastValue, exp.NthValue, exp.PercentRank, exp.CumeDist,
)  # fmt: skip
"""Functions that only exist over a window."""

RowKey = tuple[Atom, ...]


@dataclass(frozen=True)
class Relation:
    """`columns` is None where they cannot be known; `keys` are the unique sets of columns that are known."""

    columns: tuple[str, ...] | None = None
    keys: tuple[frozenset[str], ...] = ()


@dataclass(frozen=True)
class Selected:
    """One select: its sources by alias, and the keys of the rows before and after its grouping."""

    select: exp.Select
    sources: Mapping[str, Relation]
    source_keys: tuple[RowKey, ...]
    row_keys: tuple[RowKey, ...]


@dataclass
class Describer:
    """Walks a query from its first CTE to its outermost select; `seen` gets every select on the way."""

    base: Mapping[str, Relation]
    seen: Callable[[Selected], None] = lambda selected: None
    _done: set[int] = field(default_factory=set)

    def describe(self, query: exp.Expr, known: Mapping[str, Relation] | None = None) -> Relation:
        """The relation that `query` gives, where `known` CTEs are visible."""
        visible = dict(known or {})
        with_ = query.args.get("with_")
        if with_ is not None:
            for cte in with_.expressions:
                if with_.args.get("recursive"):
                    visible[text_of_name(cte.alias)] = Relation()
                visible[text_of_name(cte.alias)] = self._named(self.describe(cte.this, visible), cte)
        if isinstance(query, exp.Subquery):
            return self.describe(query.this, visible)
        if isinstance(query, exp.SetOperation):
            left = self.describe(query.left, visible)
            self.describe(query.right, visible)
            is_distinct = query.args.get("distinct") and left.columns
            return Relation(left.columns, (frozenset(left.columns or ()),) if is_distinct else ())
        if isinstance(query, exp.Select):
            return self._select(query, visible)
        return Relation()

    @staticmethod
    def _named(relation: Relation, node: exp.Expr) -> Relation:
        names = [text_of_name(name) for name in node.alias_column_names]
        if not names:
            return relation
        renamed = dict(zip(relation.columns or (), names, strict=False))
        keys = [frozenset(renamed[name] for name in key) for key in relation.keys if key <= renamed.keys()]
        return Relation(tuple(names), tuple(keys))

    def _select(self, select: exp.Select, visible: Mapping[str, Relation]) -> Relation:
        from_ = select.args.get("from_")
        joins = select.args.get("joins") or []
        nodes = ([from_.this] if from_ is not None else []) + [join.this for join in joins]
        sources = {
            text_of_name(node.alias_or_name) or f"#{place}": self._source(node, visible)
            for place, node in enumerate(nodes)
        }
        source_keys = _joined_keys(sources, joins)
        row_keys = _grouped_keys(select, sources, source_keys)
        for query in _nested_queries(select, nodes):
            self.describe(query, visible)
        if id(select) not in self._done:
            self._done.add(id(select))
            self.seen(Selected(select, sources, source_keys, row_keys))
        outputs = list(_outputs(select, sources))
        columns = None if any(name is None for name, _ in outputs) else tuple(name for name, _ in outputs if name)
        keys = [key for row_key in row_keys if (key := _projected(row_key, outputs)) is not None]
        if select.args.get("distinct") and not select.args["distinct"].args.get("on") and columns:
            keys.append(frozenset(columns))
        return Relation(columns, tuple(dict.fromkeys(keys)))

    def _source(self, node: exp.Expr, visible: Mapping[str, Relation]) -> Relation:
        if isinstance(node, exp.Table):
            name = text_of_name(node.name)
            if not node.args.get("db") and name in visible:
                return visible[name]
            return self.base.get(name, Relation())
        if isinstance(node, exp.Subquery):
            return self._named(self.describe(node.this, visible), node)
        return Relation()


def text_of_name(name: str) -> str:
    return name.lower()


def text_of(node: exp.Expr) -> str:
    """One spelling of an expression: quotes and capitals of names do not tell two of them apart."""
    return node.sql(dialect="duckdb", comments=False, normalize=True).replace('"', "").lower()


def _nested_queries(select: exp.Select, sources: Collection[exp.Expr]) -> Iterator[exp.Expr]:
    for node in select.find_all(exp.Subquery, exp.Exists, exp.In):
        query = node.args.get("query") if isinstance(node, exp.In) else node.this
        is_own = not any(node is source for source in sources) and node.find_ancestor(exp.CTE, exp.Select) is select
        if is_own and isinstance(query, exp.Query):
            yield query


def _atom(alias: str, column: str, equal: Collection[frozenset[str]] = ()) -> Atom:
    texts = {f"{alias}.{column}"}
    for pair in list(equal) * 2:
        if pair & texts:
            texts |= pair
    return frozenset(texts | {text.rpartition(".")[2] for text in texts})


def _equalities(joins: Collection[exp.Expr]) -> list[frozenset[str]]:
    """Pairs of columns that every row of the join has equal."""
    pairs = []
    for join in joins:
        on = join.args.get("on")
        for condition in on.flatten() if isinstance(on, exp.And) else [on]:
            sides = condition.unnest_operands() if isinstance(condition, exp.EQ) else ()
            if sides and all(isinstance(side, exp.Column) for side in sides):
                pairs.append(frozenset(text_of(side) for side in sides))
    return pairs


def _is_looked_up(alias: str, relation: Relation, join: exp.Expr) -> bool:
    """Whether a row finds at most one row of the joined relation: a key of it is given, or it only filters."""
    if (join.args.get("kind") or "").upper() in ("SEMI", "ANTI"):
        return True
    if (join.args.get("side") or "").upper() in ("RIGHT", "FULL"):
        return False  # the other side's columns are null for every row that found nothing
    given = {text_of_name(column.name) for column in join.args.get("using") or []}
    for pair in _equalities([join]):
        own = {text for text in pair if text.startswith(f"{alias}.")}
        if len(own) == 1 and len(pair) == 2:
            given |= {text.removeprefix(f"{alias}.") for text in own}
    return any(key <= given for key in relation.keys)


def _joined_keys(sources: Mapping[str, Relation], joins: list[exp.Expr]) -> tuple[RowKey, ...]:
    equal = _equalities([join for join in joins if not join.args.get("side")])
    choices: list[list[tuple[str, RowKey]]] = []
    for place, (alias, relation) in enumerate(sources.items()):
        if place and _is_looked_up(alias, relation, joins[place - 1]):
            continue
        keys = [tuple(_atom(alias, column, equal) for column in sorted(key)) for key in relation.keys]
        choices.append([(alias, key) for key in keys])
    return tuple(_reduced(combination) for combination in product(*choices)) if choices else ()


def _reduced(keys: tuple[tuple[str, RowKey], ...]) -> RowKey:
    """A key of the joined rows, without the columns that the key of another source settles.

    With `a.user_id = b.user_id`, the key of b settles b's row, so a.user_id too. A source that settles a column keeps
    its own key whole, so that none settle each other.
    """
    kept: list[Atom] = []
    settling: set[str] = set()
    for alias, key in keys:
        for atom in key:
            settled_by = next(
                (
                    other
                    for other, other_key in keys
                    if other != alias
                    and alias not in settling
                    and any(text.startswith(f"{other}.") for text in atom)
                    and atom not in other_key
                ),
                None,
            )
            if settled_by is None:
                kept.append(atom)
            else:
                settling.add(settled_by)
    return tuple(dict.fromkeys(kept))


def _grouped_keys(
    select: exp.Select, sources: Mapping[str, Relation], source_keys: tuple[RowKey, ...]
) -> tuple[RowKey, ...]:
    group = select.args.get("group")
    if group is not None and group.expressions:
        return (tuple(_group_atom(select, sources, node) for node in group.expressions),)
    found = (node for item in select.expressions for node in item.find_all(exp.AggFunc))
    if group is None and any(_is_aggregate(node) and node.find_ancestor(exp.Select) is select for node in found):
        return ((),)  # one row: nothing to tell apart
    return () if group is not None else source_keys


def _is_aggregate(node: exp.Expr) -> bool:
    parent = node.parent
    while isinstance(parent, (exp.Filter, exp.IgnoreNulls)):
        parent = parent.parent
    return not isinstance(parent, exp.Window) and not isinstance(node, NUMBERING)


def _group_atom(select: exp.Select, sources: Mapping[str, Relation], node: exp.Expr) -> Atom:
    if isinstance(node, exp.Literal) and not node.is_string and 0 < int(node.name) <= len(select.expressions):
        node = select.expressions[int(node.name) - 1]
    texts = {text_of(node.unalias())}
    column = node.unalias()
    if isinstance(column, exp.Column):
        texts.add(text_of_name(column.name))
        if not column.table and len(sources) == 1:
            texts.add(f"{next(iter(sources))}.{text_of_name(column.name)}")
    # `group by day` may name an expression of the select list.
    for item in select.expressions:
        if isinstance(item, exp.Alias) and isinstance(node, exp.Column) and text_of_name(item.alias) == text_of(node):
            texts.add(text_of(item.this))
    return frozenset(texts)


def _outputs(select: exp.Select, sources: Mapping[str, Relation]) -> Iterator[tuple[str | None, frozenset[str]]]:
    """(name, the texts of what it shows) for every output column; the name is None where it cannot be known."""
    for node in select.expressions:
        if isinstance(node, exp.Star) or (isinstance(node, exp.Column) and isinstance(node.this, exp.Star)):
            table = text_of_name(node.table) if isinstance(node, exp.Column) else None
            star = node.this if isinstance(node, exp.Column) else node
            left_out = {text_of_name(column.name) for column in star.args.get("except_") or []}
            for alias, relation in sources.items():
                if table not in (None, alias):
                    continue
                if relation.columns is None:
                    yield None, frozenset()
                for name in relation.columns or {column for key in relation.keys for column in key}:
                    if name not in left_out:
                        yield name, frozenset({f"{alias}.{name}"})
        else:
            shown = node.unalias()
            yield text_of_name(node.alias_or_name) or text_of(shown), frozenset({text_of(shown)})


def _projected(row_key: RowKey, outputs: list[tuple[str | None, frozenset[str]]]) -> frozenset[str] | None:
    names = []
    for atom in row_key:
        name = next((name for name, texts in outputs if name and texts & atom), None)
        if name is None:
            return None
        names.append(name)
    return frozenset(names)
