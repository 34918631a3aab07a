//! One suite for every implementation of [`Store`](super::Store): what each
//! test needs is an empty store.

pub(crate) mod accounts;
pub(crate) mod blobs;
pub(crate) mod people;

/// Runs the whole suite: `$open` is an async function that makes an empty store,
/// and whatever must live as long as it does.
macro_rules! conformance {
    ($open:path) => {
        $crate::store::conformance::conformance!(@ $open;
            accounts {
                what_was_registered_is_what_sign_in_checks
                an_unknown_name_has_nothing
                a_name_is_taken_once
                a_seventeenth_device_is_refused_until_one_goes
                a_session_begins_only_on_the_accounts_own_device
                a_devices_seventeenth_session_ends_its_oldest
                a_token_is_replaced_once_a_day_and_dies_with_the_first_use_of_the_new_one
                a_new_token_that_got_lost_is_offered_again_a_day_later
                sessions_end_one_by_one_or_all_at_once
                a_password_change_starts_from_the_current_version
                an_identity_is_set_once_and_credentials_again_and_again
                a_removed_device_leaves_nothing_behind
                key_packages_are_handed_out_once_and_oldest_first
                the_last_resort_package_is_handed_out_again_and_again
                a_claim_takes_one_package_of_each_device
                no_two_claims_at_once_get_the_same_package
                a_device_keeps_a_bounded_number_of_packages
                a_claim_that_would_not_fit_an_answer_takes_nothing
                contacts_share_a_conversation_now
            }
            blobs {
                a_blob_grows_chunk_by_chunk
                a_blob_goes_on_only_where_it_ends
                an_id_stands_for_one_blob
                a_strangers_blob_is_not_found
                who_left_neither_reads_nor_puts
                an_account_announces_so_many_bytes_a_day
                a_blob_comes_in_a_bounded_number_of_pieces
            }
        );
    };
    (@ $open:path; $($part:ident { $($test:ident)* })*) => {
        $(mod $part {
            $(#[tokio::test]
            async fn $test() {
                let (store, _alive) = $open().await;
                $crate::store::conformance::$part::$test(store).await;
            })*
        })*
    };
}
pub(crate) use conformance;
