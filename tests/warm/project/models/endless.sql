-- Days of work, for as long as nobody stops it.
select sum(hash(a.range, b.range)) as number from range(2000000) as a, range(2000000) as b
