int stub(void);

int main(void)
{
    return stub();
}
