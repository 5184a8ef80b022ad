//! Scores of single opportunities. The first dimension of the vectors stands for the meaning.

use super::*;
use crate::opportunity_search::terms::term_dimension;

fn text(vector: [f32; 2], terms: &[(&str, f32)]) -> OpportunityText {
    OpportunityText::new(vector.to_vec(), to_terms(terms))
}

fn to_terms(terms: &[(&str, f32)]) -> Vec<(u32, f32)> {
    let mut terms: Vec<_> = terms.iter().map(|(term, weight)| (term_dimension(term), *weight)).collect();
    terms.sort_by_key(|(dimension, _)| *dimension);
    terms
}

fn query(words: &str) -> TextQuery {
    let expanded = ExpandedQuery::from_text(words);
    TextQuery::from_expanded(&expanded, &[2.0, 0.0], |_| 3.0)
}

fn assert_score(found: f32, expected: f32) {
    assert!((found - expected).abs() < 1e-5, "{found} is not {expected}");
}

#[test]
fn an_opportunity_with_all_words_in_its_title_and_the_same_meaning_has_the_score_1() {
    let title = TermCounts::title_weight();
    let both = query("ultrasound machine");
    assert_score(both.score(&text([1.0, 0.0], &[("ultrasound", title), ("machine", title)])), 1.0);
    assert_score(both.score(&text([1.0, 0.0], &[("ultrasound", 9.0), ("machine", 9.0), ("repair", 9.0)])), 1.0);
    assert_score(both.score(&text([0.0, 1.0], &[("ultrasound", title), ("repair", title)])), 0.55 / 2.0);
    assert_score(both.score(&text([1.0, 0.0], &[("repair", title)])), 0.45);
    assert_score(both.score(&text([-1.0, 0.0], &[])), 0.0);
}

#[test]
fn similarity_counts_in_proportion_up_to_full_similarity() {
    let half = FULL_SIMILARITY / 2.0;
    let meaning_only = query("ultrasound");
    assert_score(meaning_only.score(&text([half, 0.0], &[])), 0.45 / 2.0);
    assert_score(meaning_only.score(&text([0.99, 0.0], &[])), 0.45);
}

#[test]
fn an_identifier_counts_more_than_the_meaning() {
    let title = TermCounts::title_weight();
    let number = query("6515015306147");
    assert!(number.score(&text([0.0, 1.0], &[("6515015306147", title)])) > 0.97);
    assert!(number.score(&text([1.0, 0.0], &[("6515", title)])) < 0.03);
}

#[test]
fn a_query_without_terms_is_compared_by_meaning_alone() {
    let stop_words = query("all of it");
    assert_eq!(stop_words.terms(), []);
    assert_score(stop_words.score(&text([1.0, 0.0], &[("valve", 1.0)])), 1.0);
}

#[test]
fn no_score_is_above_the_highest_one_of_its_words() {
    let both = query("ultrasound machine");
    for (weight, similarity) in [(0.0, 1.0), (0.5, 0.9), (1.0, 0.2), (9.0, 1.0)] {
        let found = text([similarity, 0.0], &[("machine", weight)]);
        assert!(both.score(&found) <= both.highest_score(3.0 * weight) + 1e-6);
        assert_score(both.score(&found), both.score_with_words(3.0 * weight, &found));
    }
}

#[test]
fn stored_vectors_are_exact_to_a_hundredth() {
    let exact: Vec<f32> = (0_u8..200).map(|index| f32::from(index).sin()).collect();
    let length = exact.iter().map(|value| value * value).sum::<f32>().sqrt();
    let unit: Vec<f32> = exact.iter().map(|value| value / length).collect();
    let query = TextQuery::new(&exact, vec![], 1.0, 1.0);
    let product: f32 =
        query.vector.iter().zip(&unit).map(|(value, other)| f32::from(*value) * query.vector_step * other).sum();
    assert!((product - 1.0).abs() < 0.01, "{product}");
}

#[test]
fn the_rarity_of_a_term_falls_with_the_texts_that_have_it() {
    use crate::opportunity_search::term_rarity::term_rarity;
    assert!(term_rarity(1_000, 0) > term_rarity(1_000, 10) && term_rarity(1_000, 10) > term_rarity(1_000, 999));
    assert!(term_rarity(0, 0) > 0.0);
}
