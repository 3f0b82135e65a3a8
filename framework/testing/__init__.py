"""Laws that every System obeys, to be checked from one's own tests.

    from framework.testing import laws
    laws.check(system, hp)

or law by law, so that pytest shows which one does not hold:

    @pytest.mark.parametrize('law', laws.ALL)
    def test_law(law, subject):  # a fixture: laws.Subject(system, hp)
      law(subject)
"""
