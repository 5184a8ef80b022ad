//! Who belongs to a company.

use super::*;

#[test]
fn a_member_is_added_changed_and_removed() {
    let given = [registered("Acme"), added("bob", Role::Viewer)];
    expect_events(&given[..1], add("bob", Role::Viewer), vec![added("bob", Role::Viewer)]);
    expect_events(&given, change("bob", Role::Manager), vec![changed("bob", Role::Manager)]);
    expect_events(&given, remove("bob"), vec![removed("bob")]);
}

#[test]
fn what_is_met_already_changes_nothing() {
    let given = [registered("Acme"), added("bob", Role::Viewer)];
    expect_events(&given, add("bob", Role::Viewer), vec![]);
    expect_events(&given, change("bob", Role::Viewer), vec![]);
    expect_events(&given, remove("carl"), vec![]);
}

#[test]
fn a_member_is_not_added_again_with_another_role() {
    let given = [registered("Acme"), added("bob", Role::Viewer)];
    expect_refusal(&given, add("bob", Role::Admin), CompanyError::AlreadyMember { role: Role::Viewer });
}

#[test]
fn only_a_members_role_is_changed() {
    expect_refusal(&[registered("Acme")], change("bob", Role::Viewer), CompanyError::NoSuchMember);
}

#[test]
fn a_person_is_no_machine() {
    let given = [registered("Acme"), added("bob", Role::Viewer)];
    expect_refusal(&given, add("carl", Role::Service), CompanyError::NotForPeople);
    expect_refusal(&given, change("bob", Role::Service), CompanyError::NotForPeople);
}

#[test]
fn the_last_admin_stays_one() {
    let alone = [registered("Acme")];
    expect_refusal(&alone, remove("ann"), CompanyError::LastAdmin);
    expect_refusal(&alone, change("ann", Role::Viewer), CompanyError::LastAdmin);
    let two = [registered("Acme"), added("bob", Role::Admin)];
    expect_events(&two, remove("ann"), vec![removed("ann")]);
    expect_events(&two, change("ann", Role::Viewer), vec![changed("ann", Role::Viewer)]);
}

#[test]
fn a_company_has_so_many_members_and_no_more() {
    let mut given = vec![registered("Acme")];
    given.extend((1..MAX_MEMBERS).map(|number| added(&format!("user-{number}"), Role::Viewer)));
    expect_refusal(&given, add("bob", Role::Viewer), CompanyError::TooManyMembers);
    given.push(removed("user-1"));
    expect_events(&given, add("bob", Role::Viewer), vec![added("bob", Role::Viewer)]);
}

#[test]
fn roles_are_in_the_order_of_what_they_allow() {
    let people = [Role::Viewer, Role::Contributor, Role::Manager, Role::Admin];
    for (place, role) in people.iter().enumerate() {
        for (least_place, least) in people.iter().enumerate() {
            assert_eq!(role.covers(*least), place >= least_place, "{role} {least}");
        }
        assert!(!Role::Service.covers(*role) && !role.covers(Role::Service), "{role}");
    }
}
