with
    generations as (
        select tenant_id, generation_id, concat(tenant_id, ':', proposal_id) as proposal, variants[?] as variant, ended_position
        from proposal_generations
        where
            outcome = 'completed' and variant != '' and toUnixTimestamp64Micro(requested_at) >= ?
            and toUnixTimestamp64Micro(requested_at) < ?
    ),
    ended as (
        select aggregate_id, min(position) as position
        from events final
        where
            tenant_id in (select tenant_id from generations) and aggregate_id in (select proposal from generations)
            and event_type in ('proposal.approved', 'proposal.submitted')
        group by aggregate_id
    ),
    edits as (
        select aggregate_id, JSONExtractString(payload, 'section') as section, position, user_id = ? as is_generator
        from events final
        where
            tenant_id in (select tenant_id from generations) and aggregate_id in (select proposal from generations)
            and event_type in ('proposal.section_edited', 'proposal.section_removed')
    ),
    sections as (
        select
            s.tenant_id as tenant_id, g.variant as variant, s.generation_id as generation, s.section as section,
            -- The generation writes its sections into the proposal before it ends, but for those that a member has changed.
            countIf(e.is_generator and e.position > s.position and e.position < g.ended_position) > 0 as is_written,
            countIf(
                e.position > s.position and e.position < p.position
                and not (e.is_generator and e.position < g.ended_position)
            ) > 0 as is_changed
        from (select * from generated_sections final where outcome = 'generated') as s
        inner join generations as g on g.tenant_id = s.tenant_id and g.generation_id = s.generation_id
        inner join ended as p on p.aggregate_id = g.proposal
        inner join edits as e on e.aggregate_id = p.aggregate_id and e.section = s.section
        where p.position > g.ended_position
        group by tenant_id, variant, generation, section
    )
select tenant_id, variant, count() as decided, countIf(not is_changed) as unchanged
from sections
where is_written
group by tenant_id, variant
order by tenant_id, variant
