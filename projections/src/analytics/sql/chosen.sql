with
    cast(? as Array(String)) as wanted_agencies,
    cast(? as Array(String)) as wanted_types,
    cast(? as Array(String)) as wanted_naics,
    cast(? as Array(String)) as wanted_set_asides,
    cast(? as Array(String)) as wanted_words,
    toInt64(?) as posted_from,
    toInt64(?) as posted_to,
    toInt64(?) as deadline_from,
    toInt64(?) as deadline_to,
    toBool(?) as deadline_matters,
    chosen as (
        select *
        from opportunities final
        where (empty(wanted_agencies) or has(wanted_agencies, agency_code))
            and (empty(wanted_types) or has(wanted_types, notice_type))
            and (empty(wanted_naics) or arrayExists(code -> startsWith(naics, code), wanted_naics))
            and (empty(wanted_set_asides) or has(wanted_set_asides, set_aside))
            and toUnixTimestamp64Micro(posted_at) between posted_from and posted_to
            and (
                not deadline_matters
                or toUnixTimestamp64Micro(assumeNotNull(response_deadline)) between deadline_from and deadline_to
                and isNotNull(response_deadline)
            )
            and (empty(wanted_words) or arrayAll(word -> position(search_text, word) > 0, wanted_words))
    ),
    won as (
        select opportunity_id, count() as awards, sumOrNull(toInt128(amount_cents)) as cents
        from awards final
        group by opportunity_id
    )
