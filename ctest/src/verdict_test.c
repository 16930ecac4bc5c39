/*
 * verdict_test.c - the verdict function as a table over a key's life.
 */
#include "../../store.h"
#include "check.h"

/* The key of every row: upcoming before 100, current before 200, previous
   before 300. A newer key is current from 200, so a renewal is possible. */
enum { BEFORE = 50, BEGIN = 100, WHILE = 199, AFTER = 200, LAST = 299, OVER = 300 };
enum { TLS12 = 0, TLS13 = 1 };

static struct stekc_facts facts_at(int64_t time, int encrypt, int tls13, int policy)
{
    struct stek_key key = test_key(1, 100, 200, 300);
    struct stek_now now = {time, time};
    struct stekc_facts facts = {.encrypt = encrypt,
                                .state = stekc_key_state(&key, now),
                                .tls13 = tls13,
                                .policy = policy,
                                .can_renew = 1};

    return facts;
}

static void decrypting_follows_the_window(void)
{
    static const struct {
        int64_t time;
        int tls13, policy;
        enum stek_verdict verdict;
    } rows[] = {
        {BEFORE, TLS12, STEK_POLICY_CAPPED, STEK_USE},
        {BEGIN, TLS12, STEK_POLICY_CAPPED, STEK_USE},
        {WHILE, TLS12, STEK_POLICY_CAPPED, STEK_USE},
        {AFTER, TLS12, STEK_POLICY_CAPPED, STEK_RENEW},
        {LAST, TLS12, STEK_POLICY_CAPPED, STEK_RENEW},
        {OVER, TLS12, STEK_POLICY_CAPPED, STEK_IGNORE},
        {BEFORE, TLS13, STEK_POLICY_CAPPED, STEK_RENEW},
        {BEGIN, TLS13, STEK_POLICY_CAPPED, STEK_RENEW},
        {WHILE, TLS13, STEK_POLICY_CAPPED, STEK_RENEW},
        {AFTER, TLS13, STEK_POLICY_CAPPED, STEK_RENEW},
        {LAST, TLS13, STEK_POLICY_CAPPED, STEK_RENEW},
        {OVER, TLS13, STEK_POLICY_CAPPED, STEK_IGNORE},

        {BEFORE, TLS12, STEK_POLICY_CURRENT, STEK_USE},
        {WHILE, TLS12, STEK_POLICY_CURRENT, STEK_USE},
        {AFTER, TLS12, STEK_POLICY_CURRENT, STEK_RENEW},
        {OVER, TLS12, STEK_POLICY_CURRENT, STEK_IGNORE},
        {BEFORE, TLS13, STEK_POLICY_CURRENT, STEK_RENEW},
        {WHILE, TLS13, STEK_POLICY_CURRENT, STEK_RENEW},
        {AFTER, TLS13, STEK_POLICY_CURRENT, STEK_USE},
        {OVER, TLS13, STEK_POLICY_CURRENT, STEK_IGNORE},

        {BEFORE, TLS12, STEK_POLICY_AGE, STEK_USE},
        {WHILE, TLS12, STEK_POLICY_AGE, STEK_USE},
        {AFTER, TLS12, STEK_POLICY_AGE, STEK_RENEW},
        {OVER, TLS12, STEK_POLICY_AGE, STEK_IGNORE},
        {BEFORE, TLS13, STEK_POLICY_AGE, STEK_USE},
        {WHILE, TLS13, STEK_POLICY_AGE, STEK_USE},
        {AFTER, TLS13, STEK_POLICY_AGE, STEK_RENEW},
        {OVER, TLS13, STEK_POLICY_AGE, STEK_IGNORE},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct stekc_facts facts = facts_at(rows[i].time, 0, rows[i].tls13, rows[i].policy);

        CHECK(stekc_verdict(&facts) == rows[i].verdict);
        facts.can_renew = 0; /* nothing to renew with: never 2 */
        CHECK(stekc_verdict(&facts) ==
              (rows[i].verdict == STEK_RENEW ? STEK_USE : rows[i].verdict));
    }
}

static void only_the_current_key_encrypts(void)
{
    static const struct {
        int64_t time;
        enum stek_verdict verdict;
    } rows[] = {{BEFORE, STEK_IGNORE}, {BEGIN, STEK_USE},   {WHILE, STEK_USE},
                {AFTER, STEK_IGNORE},  {LAST, STEK_IGNORE}, {OVER, STEK_IGNORE}};

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (int policy = STEK_POLICY_CAPPED; policy <= STEK_POLICY_AGE; policy++)
            for (int tls13 = TLS12; tls13 <= TLS13; tls13++) {
                struct stekc_facts facts = facts_at(rows[i].time, 1, tls13, policy);

                CHECK(stekc_verdict(&facts) == rows[i].verdict);
                facts.sends_malformed = 1;
                CHECK(stekc_verdict(&facts) ==
                      (rows[i].verdict == STEK_IGNORE && tls13 ? STEK_BURN : rows[i].verdict));
            }
}

static void failure_is_an_error_unless_soft(void)
{
    for (int encrypt = 0; encrypt <= 1; encrypt++)
        for (int tls13 = TLS12; tls13 <= TLS13; tls13++)
            for (int malformed = 0; malformed <= 1; malformed++) {
                struct stekc_facts facts = {.encrypt = encrypt,
                                            .state = STEK_FAILED,
                                            .tls13 = tls13,
                                            .can_renew = 1,
                                            .sends_malformed = malformed};

                CHECK(stekc_verdict(&facts) == STEK_ERROR);
                facts.soft = 1;
                CHECK(stekc_verdict(&facts) ==
                      (encrypt && tls13 && malformed ? STEK_BURN : STEK_IGNORE));
            }
}

static void no_key_and_no_budget_are_full_handshakes(void)
{
    struct stekc_facts facts = {.can_renew = 1};

    for (int tls13 = TLS12; tls13 <= TLS13; tls13++) {
        facts.tls13 = tls13;
        facts.state = STEK_NO_KEY;
        CHECK(stekc_verdict(&facts) == STEK_IGNORE);
        facts.state = STEK_LIMITED;
        CHECK(stekc_verdict(&facts) == STEK_IGNORE);
    }
}

int main(void)
{
    RUN(decrypting_follows_the_window);
    RUN(only_the_current_key_encrypts);
    RUN(failure_is_an_error_unless_soft);
    RUN(no_key_and_no_budget_are_full_handshakes);
    return 0;
}
