//! What the long help of every command ends with.

/// Examples, exit codes and environment: the last part of `--help`.
macro_rules! help {
    ($examples:literal) => {
        concat!(
            "Examples:\n",
            $examples,
            "\n\n",
            "Exit codes:\n",
            "  0  done\n",
            "  1  refused; stderr has the code and what to do\n",
            "  2  wrong usage\n",
            "  3  can't connect\n",
            "  4  `listen --for` is over before `--count`\n",
            "  5  done, but not all of the history came back (login, restore)\n",
            "\n",
            "Environment:\n",
            "  FASTCHAT_PROFILE        like --profile\n",
            "  FASTCHAT_BALANCER       like --balancer\n",
            "  FASTCHAT_CA             like --ca\n",
            "  FASTCHAT_PASSWORD       the password, instead of a prompt (register, login, password, restore)\n",
            "  FASTCHAT_NEW_PASSWORD   the new password, instead of a prompt (password)\n",
            "  FASTCHAT_RECOVERY_CODE  the recovery code, instead of a prompt (--recovery)\n",
            "  NO_COLOR                no colours\n",
            "  RUST_LOG                what to log to stderr, like `fastchat_client=debug`"
        )
    };
}
