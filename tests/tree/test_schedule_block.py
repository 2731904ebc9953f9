"""The block of a condition is found in the bytecode, however the condition is written."""

from __future__ import annotations

import operator
from contextlib import nullcontext, suppress

from conditions import Condition


def in_an_if(due):
    if due():
        due.note("in")
        for _ in range(2):
            due.note("in")
    due.note("out")


def in_an_if_with_else(due):
    if due():
        due.note("in")
    else:
        due.note("never")
    due.note("out")


def in_the_first_of_two_conditions(due):
    if due() and len(due.seen) == 0:
        due.note("in")
    due.note("out")


def in_the_second_of_two_conditions(due):
    if len(due.seen) == 0 and due():
        due.note("in")
    due.note("out")


def in_an_expression(due):
    due() and due.note("in")
    due.note("out")


def in_a_loop(due):
    for _ in range(2):
        if due():
            due.note("in")
        due.note("out")


def in_a_with_and_a_try(due):
    try:
        if due():
            with suppress(KeyError):
                due.note("in")
                raise KeyError
            due.note("in")
    finally:
        due.note("out")


def in_a_handler(due):
    if due():
        try:
            raise KeyError
        except KeyError:
            due.note("in")
    due.note("out")


def in_a_function_that_the_block_calls(due):
    def call():
        due.note("in")

    if due():
        call()
    due.note("out")


def in_a_test_that_goes_on(due):
    def note(what):
        due.note(what)
        return True

    if due() and note("in"):
        due.note("in")
    due.note("out")


def in_the_first_of_two_alternatives(due):
    if due() or not due.seen:
        due.note("in")
    due.note("out")


def in_the_second_of_two_alternatives(due):
    if len(due.seen) == 1 or due():
        due.note("in")
    due.note("out")


def in_alternatives_and_conditions(due):
    if (due() or len(due.seen) > 1) and not due.seen:
        due.note("in")
    elif due.seen:
        due.note("never")
    due.note("out")


def in_an_if_in_the_block(due):
    if due():
        if due.seen:
            due.note("never")
        for number in range(3):
            if number == 1:
                due.note("in")
    due.note("out")


def in_a_while(due):
    while due():
        due.note("in")
        break
    due.note("out")


def in_a_match(due):
    match due():
        case True:
            due.note("in")
    due.note("out")


def in_the_second_case_of_a_match(due):
    match due():
        case 7:
            due.note("never")
        case True:
            due.note("in")
        case _:
            due.note("never")
    due.note("out")


def in_a_test_of_several_values(due):
    if any([False, due()]):
        due.note("in")
    due.note("out")


def in_a_test_of_an_equation(due):
    if due() == True:  # noqa: E712 - people write this
        due.note("in")
    due.note("out")


def in_a_test_of_an_identity(due):
    if due() is True:
        due.note("in")
    due.note("out")


def after_a_conditional_expression(due):
    answer = "go" if due() else ""
    due.note("in")
    if answer:
        due.note("in")
    due.note("out")


def after_a_conditional_expression_with_more_conditions(due):
    answer = [number for number in range(2) if number] if due() and not due.seen else ["never"]
    due.note("in")
    if answer == [1]:
        due.note("in")
    due.note("out")


def after_an_alternative_that_is_assigned(due):
    answer = due() or len(due.seen)
    if answer:
        due.note("in")
    due.note("out")


def in_the_rest_after_a_negation_with_alternatives(due):
    if not due() or due.seen:
        return
    due.note("in")


def in_the_rest_after_an_argument(due):
    due.seen.append(("in", due()))
    if due.seen:
        due.note("in")


def in_a_function_that_gets_the_condition(due):
    def note_if(is_due):
        if is_due:
            due.note("in")

    note_if(due())


def in_a_function_of_one_expression(due):
    (lambda: due.note("in") if due() else None)()
    due.note("out")


def after_a_function_that_returns_the_condition(due):
    def is_due():
        return due()

    if is_due():
        due.note("in")
    due.note("out")


def after_a_function_that_returns_two_conditions(due):
    def is_due():
        return due() and not due.seen

    if is_due():
        due.note("in")
    due.note("out")


def after_a_function_that_returns_alternatives(due):
    def is_due():
        return len(due.seen) > 1 or due() or len(due.seen) > 1

    if is_due():
        due.note("in")
    due.note("out")


def after_a_function_that_returns_a_variable(due):
    def is_due():
        answer = due()
        assert answer
        return answer

    if is_due():
        due.note("in")
    due.note("out")


def after_a_function_with_an_if(due):
    def is_due():
        if due():
            return "due"
        return ""

    if is_due():
        due.note("in")
    due.note("out")


def after_a_function_with_a_conditional_expression(due):
    def reason():
        return "go" if due() else ""

    if reason() and len(due.seen) == 0:
        due.note("in")
    due.note("out")


def after_nested_functions(due):
    def is_due():
        answer = due()
        assert answer
        return answer

    def is_ready():
        return is_due() and not due.seen

    def is_right():
        if is_ready():
            due.note("in")
            return True
        return False

    if is_right():
        due.note("in")
    due.note("out")


def after_a_function_whose_block_has_ended(due):
    def act():
        if due():
            due.note("in")
        due.note("out")
        return True

    if act():
        due.note("out")
    due.note("out")


def after_a_function_without_a_result(due):
    def act():
        is_due = due()
        if is_due:
            due.note("in")

    act()
    due.note("out")


def after_a_function_whose_result_is_not_used(due):
    def act():
        is_due = due()
        due.note("in")
        return is_due

    act()
    due.note("out")


def after_a_property(due):
    class Flow:
        @property
        def is_due(self):
            return due()

    if Flow().is_due:
        due.note("in")
    due.note("out")


def after_a_generator(due):
    def conditions():
        yield due()

    if next(conditions()):
        due.note("in")
    due.note("out")


def after_a_generator_that_stores_the_condition(due):
    def conditions():
        is_due = due()
        yield is_due

    for is_due in conditions():
        if is_due:
            due.note("in")
        due.note("in")
    due.note("out")


def after_a_generator_expression(due):
    if any(due() for _ in range(2)):
        due.note("in")
    due.note("out")


def after_a_comprehension(due):
    numbers = [number for number in range(2) if due()]
    due.note("in")
    if numbers:
        due.note("in")


def after_a_function_with_a_comprehension(due):
    def numbers():
        return [number for number in range(2) if due()]

    for _ in numbers():
        due.note("in")
    due.note("out")


def after_a_method_of_another_name(due):
    class Flow:
        def is_due(self):
            return due()

    if Flow().is_due():
        due.note("in")
    due.note("out")


def after_a_generator_that_yields_in_the_block(due):
    def generate():
        if due():
            yield 1
        yield 2

    for _ in generate():
        due.note("in")
        break
    due.note("out")


def in_a_comprehension(due):
    [due.note("in") for _ in range(2) if due()]


def in_the_rest_after_a_negation(due):
    if not due():
        return
    due.note("in")


def in_the_last_use_of_a_variable(due):
    is_due = due()
    due.note("in")
    if is_due:
        due.note("in")
    due.note("in")
    if len(due.seen) > 2 and is_due:
        due.note("in")
    due.note("out")


def in_the_last_use_of_a_variable_of_an_expression(due):
    reason = "due" if due() else ""
    is_due = reason == "due"
    due.note("in")
    if is_due:
        due.note("in")
    due.note("out")


def in_the_rest_after_a_variable_that_is_negated(due):
    is_due = due()
    if not is_due:
        return
    due.note("in")


def in_the_rest_after_a_variable_that_is_passed_on(due):
    is_due = due()
    due.seen.append(("in", is_due))
    due.note("in")


def in_a_loop_that_tests_a_variable(due):
    is_due = due()
    for number in range(2):
        if is_due:
            due.note("in")
        if number < 2:
            due.note("in")
    due.note("out")


def in_a_loop_that_ends_with_a_test_of_a_variable(due):
    is_due = due()
    for number in range(2):
        due.note("in")
        if is_due and number == 0:
            due.note("in")


def in_two_variables(due):
    is_due, others = due(), len(due.seen)
    if is_due and others == 0:
        due.note("in")
    due.note("out")


def in_a_condition_of_two_variables(due):
    is_due = due()
    is_new = not due.seen
    if is_due == is_new:
        due.note("in")
    due.note("out")


def in_the_rest_after_an_attribute(due):
    due.is_due = due()
    if due.is_due:
        due.note("in")
    due.note("in")


def in_the_rest_after_a_variable_of_an_inner_function(due):
    is_due = due()

    def act():
        if is_due:
            due.note("in")

    due.note("in")
    act()


def in_an_if_that_assigns(due):
    if is_due := due():
        due.note("in")
    due.note("in")
    if is_due:
        due.note("in")
    due.note("out")


def in_an_if_that_assigns_a_name_that_is_used_in_the_block_only(due):
    if (is_due := due()) and len(due.seen) == 0:
        due.seen.append(("in", is_due))
        due.note("in")
    due.note("out")


def in_the_rest_after_a_comparison_with_none(due):
    if due() is None:
        return
    due.note("in")


def in_a_chain_of_comparisons(due):
    if 0 < due() < 2:
        due.note("in")
    due.note("out")


def in_a_test_of_a_flag_that_the_block_sets(due):
    is_due = False
    if due():
        is_due = True
        due.note("in")
    due.note("in")
    if is_due:
        due.note("in")
    due.note("out")


def in_a_test_of_a_flag_and_another_condition(due):
    is_due = False
    for number in range(2):
        if number == 0 and due():
            is_due = True
        due.note("in")
    if is_due and due.seen:
        due.note("in")
    due.note("out")


def in_the_use_of_a_value_that_the_block_sets(due):
    number = 0
    if due():
        number = 5
        due.note("in")
    due.note("in")
    due.seen.append(("in", number == 5))
    due.note("out")


def in_the_rest_after_the_negation_of_a_variable(due):
    is_early = not due()
    if is_early:
        return
    due.note("in")


def in_the_rest_after_two_negations(due):
    is_early = not due()
    due.note("in")
    if not is_early:
        due.note("in")
    due.note("out")


def after_a_function_that_returns_the_negation(due):
    def is_early():
        return not due()

    if is_early():
        return
    due.note("in")


def after_a_function_that_returns_the_negation_of_a_variable(due):
    def is_early():
        is_due = due()
        return not is_due

    def is_not_ready():
        return is_early() or len(due.seen) > 1

    if is_not_ready():
        return
    due.note("in")


def after_a_function_that_returns_false_if_the_condition_is_true(due):
    def is_early():
        if due():  # noqa: SIM103 - people write this
            return False
        return True

    if is_early():
        return
    due.note("in")


def after_a_function_that_returns_false_at_the_end(due):
    def is_early():
        is_due = due()
        if not is_due:  # noqa: SIM103 - people write this
            return True
        return False

    if is_early() or len(due.seen) > 1:
        return
    due.note("in")


def after_a_function_that_returns_true_at_the_end(due):
    def is_due():
        if not due():  # noqa: SIM103 - people write this
            return False
        return True

    if is_due():
        due.note("in")
    due.note("out")


def after_a_function_that_returns_the_condition_out_of_a_with(due):
    def is_due():
        with suppress(KeyError):
            return due()

    if is_due():
        due.note("in")
    due.note("out")


def after_a_function_that_returns_the_condition_out_of_nested_blocks(due):
    def is_due():
        for _ in range(1):
            with suppress(KeyError), suppress(ValueError):
                try:
                    return due() and not due.seen
                finally:
                    due.seen.clear()
        return False

    if is_due():
        due.note("in")
    due.note("out")


def in_two_names_of_one_value(due):
    is_due = also = due()
    if is_due:
        due.note("in")
    due.note("in")
    if also:
        due.note("in")
    due.note("out")


def in_an_if_whose_else_leaves(due):
    if due():
        due.seen.append(("in", True))
    else:
        return
    due.note("in")


def in_an_if_whose_else_goes_on_with_the_next(due):
    for number in range(2):
        if number == 0 and due():
            due.note("in")
        elif number == 1:
            continue
        else:
            return
        due.note("in")
    due.note("in")


def after_a_loop_that_the_condition_breaks(due):
    for _ in range(2):
        if due():
            break
    else:
        return
    due.note("in")


def in_a_flag_that_a_loop_sets(due):
    found = False
    for _ in range(2):
        if due():
            found = True
            break
    due.note("in")
    if found:
        due.note("in")
    due.note("out")


def in_a_flag_that_is_cleared(due):
    is_early = True
    if due():
        is_early = False
    due.note("in")
    if is_early:
        return
    due.note("in")


def in_a_value_of_the_block_that_is_tested_later(due):
    loss = None
    if due():
        loss = len(due.seen)
    due.note("in")
    if loss is not None and loss < 1:
        due.note("in")
    due.note("out")


def in_a_call_with_a_value_of_the_block(due):
    name = "no"
    if due():
        name = "in"
    due.note(name)
    due.note("out")


def in_a_variable_of_the_block_that_gets_another_value(due):
    if due():
        number = 1
        due.note("in")
    number = len(due.seen)
    due.note("out")
    if number:
        due.note("out")


def in_the_rest_after_an_identity_with_false(due):
    if due() is False:
        return
    due.note("in")


def in_the_rest_after_an_equation_with_false(due):
    if due() == False:  # noqa: E712 - people write this
        return
    due.note("in")


def in_the_rest_after_a_comparison_that_is_stored(due):
    is_early = due() != True  # noqa: E712 - people write this
    if is_early or len(due.seen) > 5:
        return
    due.note("in")


def in_the_rest_after_a_case_of_false(due):
    match due():
        case False:
            return
    due.note("in")


def in_the_rest_after_a_function_that_negates(due):
    if operator.not_(due()):
        return
    due.note("in")


def in_the_rest_after_an_error(due):
    if not due():
        raise ValueError
    due.note("in")


def after_a_conditional_expression_that_negates(due):
    is_early = False if due() else True  # noqa: SIM211 - people write this
    if is_early:
        return
    due.note("in")


def in_an_attribute_of_a_conditional_expression(due):
    due.reason = "go" if due() else ""
    if due.reason:
        due.note("in")


def in_a_handler_at_the_end_of_the_block(due):
    if due():
        try:
            raise KeyError
        except KeyError:
            due.note("in")
        finally:
            due.note("in")
    due.note("out")


def in_the_last_handler_of_the_function(due):
    if due():
        due.note("in")
        try:
            {}["missing"]
        except KeyError:
            due.note("in")


def after_a_variable_in_a_try(due):
    try:
        is_due = due()
    except KeyError:
        return
    due.note("in")
    if is_due:
        due.note("in")
    due.note("out")


def after_a_function_that_returns_true_if_the_condition_is_false(due):
    def is_early():
        if not due() or len(due.seen) > 5:  # noqa: SIM103 - people write this
            return True
        return False

    if is_early():
        return
    due.note("in")


def after_a_function_that_returns_a_reason_if_the_condition_is_false(due):
    def why_not():
        if not due():
            return "not due"
        if len(due.seen) > 5:
            return "seen"
        return ""

    if why_not():
        return
    due.note("in")


def after_a_function_that_returns_none_if_the_condition_is_true(due):
    def why_not():
        if due():
            return None
        return "not due"

    if why_not():
        return
    due.note("in")


def after_a_function_that_returns_a_flag(due):
    def is_due():
        go = False
        if due():
            go = True
        return go

    if is_due():
        due.note("in")
    due.note("out")


def after_a_function_that_returns_a_comparison(due):
    def is_early():
        return due() is False

    if is_early():
        return
    due.note("in")


def after_a_function_with_the_same_result_on_all_ways(due):
    def act():
        if due():
            due.note("in")
        else:
            due.note("never")
        return True

    if act():
        due.note("out")


def after_a_list_of_a_generator(due):
    def items():
        if due():
            yield 1
            yield 2

    for _ in list(items()):
        due.note("in")
    due.note("out")


def after_a_generator_that_has_ended(due):
    def items():
        if due():
            yield 1

    for _ in items():
        due.note("in")
    due.note("out")


def in_an_unpacking(due):
    is_due, *others = [due(), len(due.seen)]
    if is_due and others:
        due.note("in")
    due.note("out")


def in_a_dictionary(due):
    action = {True: "in", False: "never"}[due()]
    due.note(action)


def in_a_text(due):
    text = f"{due()}"
    if text == "True":
        due.note("in")
    due.note("out")


def in_the_argument_of_a_work(due):
    def run(is_due):
        due.note("in" if is_due else "never")

    for _ in range(1):
        run(due())


def in_a_with_that_the_condition_opens(due):
    with nullcontext(due()) as is_due:
        if is_due:
            due.note("in")
    due.note("in")


def in_two_tests_of_one_variable_in_a_loop(due):
    is_due = due()
    for number in range(3):
        if not is_due:
            continue
        if number == 1:
            break
        due.note("in")
    due.note("out")


def test_code_is_in_the_block_until_it_has_left_it():
    seen = {}
    for name, function in globals().items():
        if name.startswith(("in_", "after_")):
            due = Condition()
            function(due)
            seen[name] = due.seen

    assert len(seen) > 100
    assert [name for name, found in seen.items() if not found] == []
    wrong = {name: found for name, found in seen.items() if found != [(w, w == "in") for w, _ in found]}
    assert wrong == {}


def test_a_block_is_left_when_its_function_has_returned():
    due = Condition()

    def run():
        if due():
            due.note("in")

    run()
    due.note("out")

    assert due.seen == [("in", True), ("out", False)]
