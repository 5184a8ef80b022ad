-- None of them exists twice: those that the end of a filling has created are dropped when it is resumed.
do $$
declare
    deferred record;
begin
    for deferred in select name, of_table, is_primary_key from {schema}.deferred_indexes loop
        if deferred.is_primary_key then
            execute format('alter table {schema}.%I drop constraint if exists %I', deferred.of_table, deferred.name);
        else
            execute format('drop index if exists {schema}.%I', deferred.name);
        end if;
    end loop;
end
$$;

update {schema}.generation set is_filling = true, is_completing = false
