//! Tests of members and roles.

use super::*;

#[test]
fn a_member_is_added_changed_and_removed() {
    let given = [registered("Acme"), added("bob", Role::Viewer)];
    expect_events(&given[..1], add("bob", Role::Viewer), vec![added("bob", Role::Viewer)]);
    expect_events(&given, change("bob", Role::Manager), vec![changed("bob", Role::Manager)]);
    expect_events(&given, remove("bob"), vec![removed("bob")]);
}

#[test]
fn a_repeated_command_changes_nothing() {
    let given = [registered("Acme"), added("bob", Role::Viewer)];
    expect_events(&given, add("bob", Role::Viewer), vec![]);
    expect_events(&given, change("bob", Role::Viewer), vec![]);
    expect_events(&given, remove("carl"), vec![]);
}

#[test]
fn adding_a_member_again_with_another_role_is_refused() {
    let given = [registered("Acme"), added("bob", Role::Viewer)];
    expect_refusal(&given, add("bob", Role::Admin), CompanyError::AlreadyMember { role: Role::Viewer });
}

#[test]
fn changing_the_role_of_a_user_who_is_not_a_member_is_refused() {
    expect_refusal(&[registered("Acme")], change("bob", Role::Viewer), CompanyError::NoSuchMember);
}

#[test]
fn the_service_role_is_refused_for_people() {
    let given = [registered("Acme"), added("bob", Role::Viewer)];
    expect_refusal(&given, add("carl", Role::Service), CompanyError::NotForPeople);
    expect_refusal(&given, change("bob", Role::Service), CompanyError::NotForPeople);
}

#[test]
fn the_last_admin_cannot_be_removed_or_change_role() {
    let alone = [registered("Acme")];
    expect_refusal(&alone, remove("ann"), CompanyError::LastAdmin);
    expect_refusal(&alone, change("ann", Role::Viewer), CompanyError::LastAdmin);
    let two = [registered("Acme"), added("bob", Role::Admin)];
    expect_events(&two, remove("ann"), vec![removed("ann")]);
    expect_events(&two, change("ann", Role::Viewer), vec![changed("ann", Role::Viewer)]);
}

#[test]
fn the_number_of_members_is_limited() {
    let mut given = vec![registered("Acme")];
    given.extend((1..MAX_MEMBERS).map(|number| added(&format!("user-{number}"), Role::Viewer)));
    expect_refusal(&given, add("bob", Role::Viewer), CompanyError::TooManyMembers);
    given.push(removed("user-1"));
    expect_events(&given, add("bob", Role::Viewer), vec![added("bob", Role::Viewer)]);
}

#[test]
fn a_role_covers_itself_and_the_roles_before_it() {
    let people = [Role::Viewer, Role::Contributor, Role::Manager, Role::Admin];
    for (rank, role) in people.iter().enumerate() {
        for (least_rank, least) in people.iter().enumerate() {
            assert_eq!(role.covers(*least), rank >= least_rank, "{role} {least}");
        }
        assert!(!Role::Service.covers(*role) && !role.covers(Role::Service), "{role}");
    }
}
