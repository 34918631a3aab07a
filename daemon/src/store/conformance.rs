//! One suite for every implementation of [`Store`](super::Store): what each
//! test needs is an empty store, or two stores on the same empty data, as two
//! processes have.

pub(crate) mod accounts;
pub(crate) mod append;
pub(crate) mod blobs;
pub(crate) mod commit;
pub(crate) mod create;
pub(crate) mod drafts;
pub(crate) mod people;
pub(crate) mod reading;
pub(crate) mod sweep;
pub(crate) mod two;

/// Runs the whole suite: `$open` is an async function that makes an empty store,
/// `$open_two` one that makes two on the same data; each with whatever must live
/// as long as they do. With `logs` before them only the part about logs.
macro_rules! conformance {
    ($open:path, $open_two:path) => {
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
                a_device_is_named_anew_by_its_account_only
                a_new_device_under_an_id_of_its_own_is_added_once
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
                an_account_has_so_many_blobs_under_way_and_so_many_bytes_in_all
                bytes_under_the_key_of_before_do_not_count
            }
            sweep {
                the_turn_is_one_servers_until_it_ends
                nothing_is_removed_during_a_pause
                what_is_due_is_what_did_not_move
                a_blob_is_removed_only_while_its_reason_holds
                a_blob_that_nobody_can_read_is_removed
                rows_come_in_pages_and_say_what_is_lost
            }
        );
        $crate::store::conformance::conformance!(logs $open, $open_two);
    };
    // What is about logs alone.
    (logs $open:path, $open_two:path) => {
        $crate::store::conformance::conformance!(@ $open;
            append {
                numbers_count_up_and_blocks_come_back
                a_batch_may_have_many_logs_and_senders
                the_same_entry_again_is_the_same_append
                a_duplicate_is_found_before_membership_and_epoch
                an_epoch_is_compared_where_it_is_given
                an_archive_is_its_accounts_and_an_inbox_the_servers
            }
            commit {
                a_commit_writes_everything_in_order
                a_plain_commit_writes_one_entry
                a_commit_again_is_the_same_commit
                a_refused_commit_writes_nothing
                accounts_that_come_and_go_read_what_is_theirs
                re_adding_a_member_and_removing_a_stranger_change_nothing
            }
            create {
                a_conversation_begins_with_its_members
                creating_again_succeeds_and_changes_nothing
                a_direct_conversation_is_unique_for_its_pair
                an_unknown_account_makes_no_conversation
                a_grant_is_a_member_entry_unless_it_changes_nothing
                who_left_reads_nothing_after_it
            }
            reading {
                a_page_ends_by_number_or_by_bytes_but_has_at_least_one
                entries_for_pushing_are_a_range
                a_device_trims_its_own_inbox_and_nothing_else
                conversations_come_in_pages_by_id
                a_devices_logs_are_its_conversations_inbox_and_archive
                members_come_in_pages_by_account
                marks_never_move_back_nor_beyond_the_last_entry
                a_roster_knows_who_reads_which_entry
                what_is_not_stored_goes_by_the_conversation_of_now
                a_page_names_the_others_of_direct_conversations
            }
        );
        $crate::store::conformance::conformance!(@ $open_two;
            two {
                numbers_have_no_hole_and_no_double
                the_same_entry_through_both_is_one
                a_direct_conversation_made_from_both_sides_is_one
                what_one_acknowledged_the_other_has
                who_was_removed_appends_nothing_after_it
                of_two_commits_of_one_epoch_one_is_made
                writers_of_many_logs_in_any_order_never_block_each_other_for_good
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
