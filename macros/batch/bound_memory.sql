{% macro bound_memory() %}
    {#
        Keeps the memory of a micro-batch flat however long history is: DuckDB keeps what it read until its limit, by
        default four fifths of the machine. Only ever lowers the limit, and not for a build that computes everything
        anew, catches up on many events, or follows one that failed: what cannot spill to disk then has all there is.
    #}
    {% if execute %}
    {% set row = run_query(
        "select is_full or is_after_failure as is_free, "
        ~ "(select coalesce(sum(events_loaded), 0) from " ~ source('raw', 'load_batches')
        ~ " where batch_id > done_batch_id and batch_id <= upto_batch_id) as events, "
        ~ "cast(current_setting('threads') as bigint) as threads, current_setting('memory_limit') as memory_limit "
        ~ "from " ~ this
    ).rows[0] %}
    {% set units = {'bytes': 0, 'KiB': 1 / 1024, 'MiB': 1, 'GiB': 1024, 'TiB': 1048576} %}
    {% set number, unit = row['memory_limit'].split(' ') %}
    {% set bound = var('micro_batch_mib_per_thread') * row['threads'] %}
    {% if not row['is_free'] and row['events'] <= var('micro_batch_events') and bound < number | float * units[unit] %}
        set memory_limit = '{{ bound }}MiB'
    {% endif %}
    {% endif %}
{% endmacro %}
