"""A Hypothesis strategy for any JSON value; objects often have the key `data`."""

from hypothesis import strategies as st

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5) | st.just("data"), inner, max_size=3)
    ),
    max_leaves=8,
)
